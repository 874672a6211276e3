"""The tests of Skylapse; they mirror its floors."""
