"""Language models on this machine: any Hugging Face causal LM, and nano models trained here. Needs the extra `local`."""
