"""Tests of kernelc."""
