"""Operations in C that replace slow ones of Theano's."""
