"""An entity is one combination of category values; its key is a text that names it everywhere.

The values stand in the order of the sorted field names. A detector without category fields has one entity, "".
"""

from __future__ import annotations

SEPARATOR = "|"


def entity_key(values: tuple[str, ...]) -> str:
    r"""The text that identifies an entity: its values joined by ``|``, with ``|`` and ``\`` escaped.

    >>> entity_key(("host-1", "eu|west"))
    'host-1|eu\\|west'
    """
    if len(values) == 1 and SEPARATOR not in values[0] and "\\" not in values[0]:
        return values[0]
    return SEPARATOR.join(value.replace("\\", "\\\\").replace(SEPARATOR, "\\" + SEPARATOR) for value in values)


def entity_values(key: str, fields: int) -> tuple[str, ...]:
    r"""The values of an entity key; the inverse of ``entity_key`` for ``fields`` category fields.

    >>> entity_values('host-1|eu\\|west', 2)
    ('host-1', 'eu|west')
    """
    if fields == 0:
        return ()
    if "\\" not in key:
        return tuple(key.split(SEPARATOR)) if fields > 1 else (key,)
    values: list[str] = []
    current: list[str] = []
    characters = iter(key)
    for character in characters:
        if character == "\\":
            current.append(next(characters, ""))
        elif character == SEPARATOR:
            values.append("".join(current))
            current = []
        else:
            current.append(character)
    values.append("".join(current))
    return tuple(values)


def model_key(owner: str, entity: str) -> str:
    """The key of a model: its owner (a detector id, or a task id for historical models) and its entity.

    >>> model_key("d1", "host-1")
    'd1|host-1'
    """
    return f"{owner}{SEPARATOR}{entity}"


def result_id(owner: str, entity: str, window_end: int) -> str:
    """The id of a result: the same window of the same model always gets the same id.

    >>> result_id("d1", "host-1", 60000)
    'd1|host-1|60000'
    """
    return f"{owner}{SEPARATOR}{entity}{SEPARATOR}{window_end}"
