"""Live prices from the exchange to many clients, over Socket.IO, plain WebSocket and REST."""
