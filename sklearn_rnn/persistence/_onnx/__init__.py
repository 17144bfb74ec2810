"""Models as graphs of ONNX, written from their weights."""

from sklearn_rnn.persistence._onnx._export import to_onnx

__all__ = ["to_onnx"]
