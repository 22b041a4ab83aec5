"""Language models on this machine: any Hugging Face causal LM, and nano models trained here. Needs the extra `local`.

causal       a model with its tokenizer, frozen: tokens in, logits, scores and text out
opening      opens a folder; no pickle, no code of a model
scoring      how probable given answers are
generating   writes on from a prompt, with a cache of its beginning
chats        text and conversations to ids and back
caches       copies, forks, cuts and builds caches of keys and values
fingerprint  what a cache or an adapter depends on, as digests
client       the model as a `LanguageModel`, which reuses what prompts begin with
measure      what it costs to run a model here

nano         small models from one dial
tokenizing   bytes, byte pairs, words
packing      texts to batches
optimising   AdamW and Muon, rates, and their state as tensors
training     the loop: stops and goes on bit for bit
checkpoints  its state, in one file
folders      model folders, written whole or not at all
"""
