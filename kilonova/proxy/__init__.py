"""The way from a browser to a server's screen or serial port: a WebSocket here, the guest's own socket behind."""
