"""The result of a run: its best model judged on the test text, beside the baselines."""

import dataclasses

from theano_rnn.baselines import bigram
from theano_rnn.baselines.kneser_ney import fit_kneser_ney
from theano_rnn.common import extras
from theano_rnn.common.types import Record
from theano_rnn.rnn import RNN
from theano_rnn.text.corpus import Corpus, Size, count_tokens
from theano_rnn.text.vocabulary import Vocabulary
from theano_rnn.training import build, evaluation
from theano_rnn.training.checkpoint import parameters
from theano_rnn.training.evaluation import figures, perplexity
from theano_rnn.training.run_folder import Run
from theano_rnn.training.sampling import generate, is_running_text
from theano_rnn.training.settings import Settings
from theano_rnn.training.state import State, state_of


def judge(
    settings: Settings, run: Run, corpus: Corpus, model: RNN, state: State, write: bool = True
) -> Record:
    """Judge the best model on the test text; write result.json, samples.txt and loss.png.

    Parameters
    ----------
    settings : Settings
    run : Run
    corpus : Corpus
    model : RNN
        It gets the parameters of the best checkpoint while it is judged, then its own again.
    state : State
        Where the training stands.
    write : bool
        False leaves the folder as it is.

    Returns
    -------
    dict
        The content of result.json. Perplexities are exp of the cross-entropy per token, the end
        of each sentence counted as one; those with ``word`` in their names are per word, whatever
        a token is, see ``corpus.Size``. The baselines are trained on the same tokens. Lower is
        better.
    """
    arrays, best = run.checkpoint("best")
    last = model.parameters()
    model.set_parameters(parameters(arrays))
    metrics = run.metrics(("epoch", "train_loss", "valid_loss", "tokens", "seconds"))
    tokens = sum(record["tokens"] for record in metrics) + state.tokens
    seconds = sum(record["seconds"] for record in metrics) + state.seconds
    size, splits = corpus.vocabulary.size, (corpus.train, corpus.valid)
    kneser_ney = fit_kneser_ney(*splits, size, across=settings.stream)
    valid_loss = evaluation.text_loss(model, corpus.valid, settings.stream)
    test_loss = evaluation.text_loss(model, corpus.test, settings.stream)
    valid_text = count_tokens(corpus.valid), corpus.sizes["valid"]
    test_text = count_tokens(corpus.test), corpus.sizes["test"]
    on_test = {
        "test": perplexity(test_loss),
        "unigram": bigram.unigram_perplexity(corpus.train, corpus.test, size),
        "bigram": bigram.bigram_perplexity(*splits, corpus.test, size),
        "kneser_ney": kneser_ney.perplexity(corpus.test),
    }
    if settings.dynamic is not None:
        dynamic_loss = _dynamic_loss(settings, corpus, model, settings.dynamic)
        on_test["dynamic"] = perplexity(dynamic_loss)
    result: Record = figures("valid", perplexity(valid_loss), *valid_text)
    for name, value in on_test.items():
        result.update(figures(name, value, *test_text))
    result |= {
        "kneser_ney_order": kneser_ney.order,
        "oov_rate": corpus.oov_rate,
        "tokens_per_second": tokens / seconds if seconds else None,
        "seconds_to_first_step": state.seconds_to_first_step,
        "training_seconds": seconds,
        "epochs": state.epoch,
        "best_epoch": state_of(best).epoch,
        "vocab_size": size,
        "train_tokens": count_tokens(corpus.train),
        **_sizes("valid", *valid_text),
        **_sizes("test", *test_text),
    }
    if not write:
        model.set_parameters(last)
        return result
    samples = draw_samples(settings, model, corpus.vocabulary)
    model.set_parameters(last)
    run.save_samples(samples)
    if metrics and extras.missing("report") is None:
        run.save_loss_picture()
    run.save_result(result)
    return result


def draw_samples(settings: Settings, model: RNN, vocabulary: Vocabulary) -> list[str]:
    """20 sentences; of a model that reads characters as a stream, the lines of one text.

    Parameters
    ----------
    settings : Settings
    model : RNN
    vocabulary : Vocabulary

    Returns
    -------
    list of str
    """
    if is_running_text(settings):
        (text,) = generate(model, vocabulary, length=2000, seed=settings.seed, carry=True)
        return text.split("\n")
    return generate(model, vocabulary, count=20, seed=settings.seed)


def _sizes(name: str, tokens: int, size: Size) -> Record:
    return {
        f"{name}_tokens": tokens,
        f"{name}_words": size.words,
        f"{name}_bytes": size.bytes,
    }


def _dynamic_loss(settings: Settings, corpus: Corpus, model: RNN, learning_rate: float) -> float:
    """The loss of a copy of the model, without dropout, that learns from the test text by SGD."""
    plain = dataclasses.replace(settings, optimizer="sgd", l2=0.0, omega=0.0)
    if settings.truncation.startswith(("adaptive", "artbp")):  # pieces of one length, and no draw
        cut = f"chunk:{settings.steps or build.USUAL}" if settings.stream else "full"
        plain = dataclasses.replace(plain, truncation=cut)
    learner = build.build_model(plain, corpus.vocabulary.size, dropout=0.0)
    learner.set_parameters(model.parameters())
    return evaluation.dynamic_loss(
        build.build_step(plain, learner), corpus.test, learning_rate, settings.clip, plain.steps
    )
