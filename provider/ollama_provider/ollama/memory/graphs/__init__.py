"""The graphs of llama.cpp's architectures, and the room that they take."""
