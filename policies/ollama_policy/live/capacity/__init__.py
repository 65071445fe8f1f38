"""What declared models take, and what their server has for them."""
