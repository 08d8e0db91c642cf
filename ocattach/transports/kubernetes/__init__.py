"""Pods of Kubernetes clusters."""
