"""Settings of a value search."""

from pydantic import Field

from lib.core.params import Section


class Optimisation(Section):
    """How the values are found."""

    steps: int = Field(ge=1, description="iterations; the last one only measures")
    lr: float = Field(gt=0, description="of Adam")
    weight_decay: float = Field(ge=0)
    kl: float = Field(ge=0, description="weight of the KL term")
    clamp: float = Field(gt=0, description="largest norm of the shift, as a multiple of the norm of v0")
    stop: float = Field(ge=0, description="a request whose loss is below is left as it is")
    tokens: int = Field(ge=1, description="tokens per forward pass, about: bounds memory, not the result")
