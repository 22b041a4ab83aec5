"""Text, chats, files → cubes (MemReader)."""
