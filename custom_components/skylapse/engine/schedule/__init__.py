"""When to photograph: windows of the sun and the clock, and the ticks within them."""
