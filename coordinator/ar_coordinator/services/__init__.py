"""The gRPC services: who may call, and what a call does."""
