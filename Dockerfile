# The project in a container, see docs/install.md:
#   docker build -t theano_rnn .
#   docker run --rm theano_rnn make test
FROM python:3.13-slim-bookworm AS tools
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ make git \
    && rm -rf /var/lib/apt/lists/*
RUN useradd --create-home --shell /bin/bash reader
USER reader

FROM tools
WORKDIR /home/reader/theano_rnn
COPY --chown=reader:reader . .
# What make train and make test install before they run.
RUN make environment
CMD ["make", "test"]
