"""A small stand-in for ComfyUI's API, enough for the nodes of this pack. Compared with the real one by `object_info.json`."""
