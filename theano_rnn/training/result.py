"""The result of a run: its best model judged on the test text, beside the baselines.

Where a text is split in two there is no test text, and the validation text takes its place.
"""

from theano_rnn.baselines import bigram
from theano_rnn.baselines.kneser_ney import fit_kneser_ney
from theano_rnn.common import extras
from theano_rnn.common.types import Record
from theano_rnn.rnn import RNN
from theano_rnn.text.corpus import Corpus, Size, count_tokens
from theano_rnn.text.vocabulary import Vocabulary
from theano_rnn.training import dynamic, evaluation
from theano_rnn.training.budget import Budget
from theano_rnn.training.checkpoint import parameters
from theano_rnn.training.evaluation import figures, perplexity
from theano_rnn.training.run_folder import Run
from theano_rnn.training.sampling import generate, is_running_text
from theano_rnn.training.settings import Settings
from theano_rnn.training.state import State, state_of


def judge(
    settings: Settings, run: Run, corpus: Corpus, model: RNN, state: State, write: bool = True
) -> Record:
    """Judge the best model; write result.json, samples.txt and loss.png.

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
        better. ``judged_on`` is "test"; it is "valid" where there is no test text, and then no
        name begins with "test". ``ended`` is what has ended the training, see ``Budget.end``;
        None if it was stopped before.
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
    valid_text = count_tokens(corpus.valid), corpus.sizes["valid"]
    test_text = count_tokens(corpus.test), corpus.sizes["test"]
    on_test = {
        "unigram": bigram.unigram_perplexity(corpus.train, corpus.test, size),
        "bigram": bigram.bigram_perplexity(*splits, corpus.test, size),
        "kneser_ney": kneser_ney.perplexity(corpus.test),
    }
    if corpus.has_test:
        on_test["test"] = perplexity(evaluation.text_loss(model, corpus.test, settings.stream))
    if settings.dynamic is not None:
        on_test["dynamic"] = perplexity(dynamic.by_sgd(settings, corpus, model))
    if settings.dynamic_rms is not None:
        on_test["dynamic_rms"] = perplexity(dynamic.by_rms(settings, corpus, model))
    result: Record = figures("valid", perplexity(valid_loss), *valid_text)
    for name, value in on_test.items():
        result.update(figures(name, value, *test_text))
    result |= {
        "judged_on": "test" if corpus.has_test else "valid",
        "kneser_ney_order": kneser_ney.order,
        "oov_rate": corpus.oov_rate,
        "tokens_per_second": tokens / seconds if seconds else None,
        "seconds_to_first_step": state.seconds_to_first_step,
        "training_seconds": seconds,
        "epochs": state.epoch,
        "ended": Budget.of(settings, corpus).end(state),
        "best_epoch": state_of(best).epoch,
        "vocab_size": size,
        "train_tokens": count_tokens(corpus.train),
        **_sizes("valid", *valid_text),
        **(_sizes("test", *test_text) if corpus.has_test else {}),
    }
    if settings.average != "none":
        result["averaged"] = state_of(best).best_is_average
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
    """20 sentences; of a model that reads characters as a stream, the lines of one text."""
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
