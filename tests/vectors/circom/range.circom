pragma circom 2.0.0;

// out = a * b, for a below 2^8 and other than `not`.
template Bits(n) {
    signal input in;
    signal output out[n];
    var sum = 0;
    for (var i = 0; i < n; i++) {
        out[i] <-- (in >> i) & 1;
        out[i] * (out[i] - 1) === 0;
        sum += out[i] * 2 ** i;
    }
    sum === in;
}

template Range() {
    signal input a;
    signal input b;
    signal input not;
    signal output out;
    signal inverse;
    component bits = Bits(8);
    bits.in <== a;
    inverse <-- 1 / (a - not);
    inverse * (a - not) === 1;
    out <== a * b;
}

component main {public [not]} = Range();
