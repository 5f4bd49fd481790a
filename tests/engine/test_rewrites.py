"""The list of rewrites is what Theano's optimizer has, in the order in which it runs them."""

from theano.compile import optdb

from theano_rnn.engine.rewrites import REWRITES


def test_the_rewrites_are_listed_in_the_order_in_which_they_run():
    order = [(rewrite.position, rewrite.name) for rewrite in REWRITES]
    assert order == sorted(order)


def test_each_is_registered_at_its_position_and_has_a_reason():
    for rewrite in REWRITES:
        assert optdb.__position__[rewrite.name] == rewrite.position
        assert rewrite.optimizer in optdb.__db__[rewrite.name]
        assert rewrite.reason
