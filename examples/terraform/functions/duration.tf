variable "keep_alive" {
  type    = string
  default = "5m"

  validation {
    condition     = provider::ollama::duration(var.keep_alive) <= 3600
    error_message = "An idle model is to be released within an hour."
  }
}
