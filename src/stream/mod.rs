//! Frames from a source to a device in blocks, under a memory limit.
