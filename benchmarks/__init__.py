"""What the performance figures of the documentation rest on: `just bench` writes them."""
