"""The post-mortem's comparison of tool chains, measured: one model on Ollama, PyTorch and TensorFlow."""
