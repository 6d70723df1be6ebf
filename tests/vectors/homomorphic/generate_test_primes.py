"""Makes test_primes.json: safe primes so that tests need not search for them.

Test vectors only. They are public, so a key made of them protects nothing.

    python tests/vectors/homomorphic/generate_test_primes.py
"""

import json
from pathlib import Path

from homomorphic.primes import safe_prime

if __name__ == "__main__":
    vectors = {str(bits): [hex(safe_prime(bits // 2)) for _ in range(2)] for bits in (512, 2048, 3072)}
    text = {"warning": "public test vectors: a key made of these primes protects nothing", "safe_primes": vectors}
    Path(__file__).with_name("test_primes.json").write_text(json.dumps(text, indent=1) + "\n", encoding="ascii")
