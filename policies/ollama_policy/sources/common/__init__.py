"""What readers of several formats share: values of variables, containers, calls, and how much work a text is worth."""
