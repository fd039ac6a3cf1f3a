"""The console's pages: rendered here, kept live by server-sent events, without anything from elsewhere."""
