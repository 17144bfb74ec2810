"""Whether attributes of objects, or the memory of their tensors, have changed."""

import operator
from itertools import chain

import torch


class ObservedState:
    """The attributes of objects at one time, to see cheaply whether they have changed.

    It tells attributes that were set, added or removed, also in a dict or a list that
    is an attribute itself, and tensors that were moved, frozen or hooked. Objects are
    kept and compared by identity: an id may be another one's when the first is gone.

    Parameters
    ----------
    parts : list of object
        Objects, or dicts of attributes.
    in_place : bool, default=False
        Whether tensors whose values were changed in place have changed as well.
    """

    def __init__(self, parts, in_place=False):
        self._in_place = in_place
        self._dicts: list[dict] = []
        self._lists: list[list] = []
        self._tensors: list[torch.Tensor] = []
        # Of each result the next one consists: attributes, and what these hold.
        attributes, _ = self._collect(parts)
        self._dicts = [value for value in attributes if isinstance(value, dict)]
        self._lists = [value for value in attributes if isinstance(value, list)]
        objects, _ = self._collect(parts)
        tensors = {id(x): x for x in objects if isinstance(x, torch.Tensor)}
        self._tensors = [x for x in tensors.values() if x.layout is torch.strided]
        self._objects, self._memory = self._collect(parts)

    def has_changed(self, parts):
        """Return whether the same parts have other attributes now."""
        objects, memory = self._collect(parts)
        return (
            len(objects) != len(self._objects)
            or not all(map(operator.is_, objects, self._objects))
            or memory != self._memory
        )

    def _collect(self, parts):
        """Return types and attributes, what is in dicts and lists, and tensors' memory.

        These dicts, lists and tensors are still those of the parts if the attributes
        are the same.
        """
        tables = [part if isinstance(part, dict) else vars(part) for part in parts]
        tables += self._dicts
        objects = [
            *map(type, parts),
            *chain.from_iterable(tables),  # names
            *chain.from_iterable(map(dict.values, tables)),
            *chain.from_iterable(self._lists),
        ]
        memory = [
            (
                *(tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype),
                *(tensor.requires_grad, bool(tensor._backward_hooks)),
                bool(tensor._post_accumulate_grad_hooks),
                self._in_place and tensor._version,
            )
            for tensor in self._tensors
        ]
        return objects, memory
