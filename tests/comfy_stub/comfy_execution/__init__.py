"""Stand-in for ComfyUI's execution package."""
