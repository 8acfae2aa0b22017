"""Reads Dockerfiles as far as ours goes: comments, continuation lines, flags, stages and ARG defaults."""

import json
import re

import attrs


@attrs.frozen
class Instruction:
    """One instruction: name, flags, the rest as written, and its stage (0 before the first FROM)."""

    name: str
    flags: dict[str, str]
    value: str
    stage: int

    @property
    def exec_form(self) -> list[str] | None:
        """The arguments of an exec form, None for a shell form."""
        try:
            arguments = json.loads(self.value)
        except ValueError:
            return None
        return arguments if isinstance(arguments, list) else None


@attrs.frozen
class Dockerfile:
    """A Dockerfile as its instructions, in order."""

    instructions: list[Instruction]

    @classmethod
    def parse(cls, text: str) -> "Dockerfile":
        lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
        instructions: list[Instruction] = []
        stage = 0
        for logical in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines():
            if not logical.strip():
                continue
            name, _, rest = logical.strip().partition(" ")
            flags: dict[str, str] = {}
            while match := re.match(r"--([\w-]+)=(\S+)\s+", rest):
                flags[match[1]] = match[2]
                rest = rest[match.end() :]
            stage += name == "FROM"
            instructions.append(Instruction(name, flags, rest.strip(), stage))
        return cls(instructions)

    def of(self, name: str, stage: int | None = None) -> list[Instruction]:
        return [i for i in self.instructions if i.name == name and stage in (None, i.stage)]

    @property
    def runtime(self) -> int:
        """The number of the last stage, which is the image."""
        return self.instructions[-1].stage

    def bases(self) -> list[str]:
        """The image of each stage, with the defaults of the ARGs put in."""
        defaults = dict(i.value.split("=", 1) for i in self.of("ARG", 0))
        return [re.sub(r"\$\{(\w+)\}", lambda m: defaults[m[1]], i.value.split()[0]) for i in self.of("FROM")]

    def environment(self, stage: int) -> dict[str, str]:
        return dict(pair.split("=", 1) for i in self.of("ENV", stage) for pair in i.value.split())

    def sources(self, stage: int) -> list[tuple[list[str], str]]:
        """What is copied from the tree: (sources, destination), in order."""
        copies = [i.value.split() for i in self.of("COPY", stage) if "from" not in i.flags]
        return [(words[:-1], words[-1]) for words in copies]
