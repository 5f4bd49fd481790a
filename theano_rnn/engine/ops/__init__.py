"""Ops in C and C++, faster than Theano's, and the rewrites that replace Theano's by them."""
