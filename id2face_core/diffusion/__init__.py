"""Identity-decoupled diffusion in the generator's style space: closed-form mean, denoiser, harmonizer, sampler."""
