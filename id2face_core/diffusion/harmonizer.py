"""Identity-Guided Latent Harmonizer: soft gates, conditioned on the noisy features, fuse identity and attributes.

The noisy hidden state h queries the identity tokens and the attribute tokens separately; then per token and channel

    g = sigmoid(W [norm(h), out_id, out_attr] + b),   out = g * out_id + (1 - g) * out_attr

It is written as a diffusers attention processor, so the same code serves any network built of `Attention`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from diffusers.models.attention_processor import Attention
from einops import rearrange
from torch import Tensor, nn


class HarmonizerAttnProcessor(nn.Module):
    """Attention processor with a second key/value branch (attributes) and a soft gate.

    Args:
        dim: width of the hidden state and of the tokens.
        num_identity_tokens: the first so many of `encoder_hidden_states` are identity, the rest attributes.

    `gate_map` holds the last gate averaged over channels, [B, T], 1 = all identity: which token (that is, which
    scale of the face) carries identity. It is detached and for looking at.
    """

    def __init__(self, dim: int, num_identity_tokens: int) -> None:
        super().__init__()
        self.num_identity_tokens = num_identity_tokens
        self.to_k_attributes = nn.Linear(dim, dim, bias=False)
        self.to_v_attributes = nn.Linear(dim, dim, bias=False)
        self.gate = nn.Linear(3 * dim, dim)
        nn.init.zeros_(self.gate.weight)
        nn.init.zeros_(self.gate.bias)
        self.gate_map: Tensor | None = None

    def __call__(
        self, attn: Attention, hidden_states: Tensor, encoder_hidden_states: Tensor | None = None, **_: object
    ) -> Tensor:
        """hidden_states [B, T, D] (normalised, noisy), encoder_hidden_states [B, I + A, D] -> [B, T, D]."""
        if encoder_hidden_states is None:
            raise ValueError("the harmonizer needs encoder_hidden_states = identity tokens, then attribute tokens")
        identity = encoder_hidden_states[:, : self.num_identity_tokens]
        attributes = encoder_hidden_states[:, self.num_identity_tokens :]
        query = attn.to_q(hidden_states)
        out_id = _attend(query, attn.to_k(identity), attn.to_v(identity), attn.heads)
        out_attr = _attend(query, self.to_k_attributes(attributes), self.to_v_attributes(attributes), attn.heads)
        gate = torch.sigmoid(self.gate(torch.cat((hidden_states, out_id, out_attr), dim=-1)))
        self.gate_map = gate.detach().mean(dim=-1)
        return attn.to_out[0](out_attr.lerp(out_id, gate))


def _attend(query: Tensor, key: Tensor, value: Tensor, heads: int) -> Tensor:
    q, k, v = (rearrange(x, "b t (h d) -> b h t d", h=heads) for x in (query, key, value))
    return rearrange(F.scaled_dot_product_attention(q, k, v), "b h t d -> b t (h d)")
