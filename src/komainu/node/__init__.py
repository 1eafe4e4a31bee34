"""The daemon: the drive that joins the cores, and thin asyncio shells around it."""
