"""Bytes on disk: folders that appear whole or not at all, and what stands in them.

``atomic`` writes files and folders in one step; ``safetensors`` packs arrays, ``plain`` turns Python values into JSON
and arrays and back, and ``archive`` joins the three to a versioned folder with checksums. Saved estimators, saved
Sequentials and checkpoints are such folders.
"""
