"""The ledger: registry contract and the calls on it, over any web3 provider."""
