"""log p(x) of up to three latents, by integration."""
