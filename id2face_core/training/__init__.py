"""Training of everything but the packaged generator. The core never imports this."""
