"""Where frames go: the queue's state machine and the destinations."""
