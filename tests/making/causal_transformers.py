"""Small GPT-2s, Llamas and Mistrals with random weights, saved by their own classes."""

import json

import torch

SPECIALS = ("[PAD]", "[UNK]", "[BOS]", "[EOS]")
VOCABULARY = {token: i for i, token in enumerate((*SPECIALS, *"TGCAN"))}

_SIZES = {
    "gpt2": {"n_embd": 16, "n_head": 2, "n_layer": 2, "n_positions": 64},
    "llama": {
        **{"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2},
        **{"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64},
    },
}
_SIZES["mistral"] = {**_SIZES["llama"], "sliding_window": 7}
_CLASSES = {"gpt2": "GPT2LMHeadModel", "llama": "LlamaForCausalLM", "mistral": "MistralForCausalLM"}


def write_tokeniser(folder, vocabulary=VOCABULARY, prefix=(), suffix=(), settings=None):
    """Write tokenizer.json (single characters) and tokenizer_config.json."""
    from tokenizers import Regex, Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Split
    from tokenizers.processors import TemplateProcessing

    folder.mkdir(parents=True, exist_ok=True)
    tokeniser = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    tokeniser.pre_tokenizer = Split(Regex("."), "isolated")
    tokeniser.add_special_tokens([token for token in SPECIALS if token in vocabulary])
    if prefix or suffix:
        tokeniser.post_processor = TemplateProcessing(
            single=" ".join((*prefix, "$A", *suffix)),
            special_tokens=[(token, vocabulary[token]) for token in {*prefix, *suffix}],
        )
    tokeniser.save(str(folder / "tokenizer.json"))
    named = {"bos_token": "[BOS]", "eos_token": "[EOS]", "unk_token": "[UNK]"}
    text = {"tokenizer_class": "PreTrainedTokenizerFast", **named, **(settings or {})}
    (folder / "tokenizer_config.json").write_text(json.dumps(text))
    return folder


def write_model(folder, model_type="gpt2", seed=0, **options):
    """Write config.json and the weights; return the model of transformers."""
    import transformers

    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    model_class = getattr(transformers, _CLASSES[model_type])
    sizes = {"vocab_size": len(VOCABULARY), **_SIZES[model_type], **options}
    model = model_class(model_class.config_class(**sizes)).eval()
    for parameter in model.parameters():  # far from 0, so that differences show
        torch.nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(folder)
    return model


def write_causal(folder, model_type="gpt2", prefix=(), suffix=(), **options):
    """Write a checkpoint; return the model of transformers."""
    write_tokeniser(folder, prefix=prefix, suffix=suffix)
    return write_model(folder, model_type, **options)
