"""WGSL functions that rendered kernels call, each included only where it is used.

They provide 64-bit integers as pairs of words, exact remainders, and what drivers' compilers would simplify although it is
not so for NaN, infinities or the sign of zero. A 64-bit integer is a `vec2<u32>` with the low word in `x`; functions that
wrap serve signed and unsigned ones. `library64` has the functions of devices with 64-bit types.
"""

from __future__ import annotations

import re

from .library64 import FLOAT64, INT64
from .types import CORE, Features

FUNCTIONS: dict[str, str] = {
    "bits_f32": """
fn bits_f32(b: u32) -> f32 {
  var runtime = b;  // no constant expression may be infinite or NaN
  return bitcast<f32>(runtime);
}""",
    "is_nan": """
fn is_nan(x: f32) -> bool { return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u; }""",
    "self_sub_f32": """
fn self_sub_f32(x: f32) -> f32 {
  // x - x: drivers' compilers take it for zero whatever x is.
  if ((bitcast<u32>(x) & 0x7f800000u) == 0x7f800000u) { return bits_f32(0x7fc00000u); }
  return 0.0;
}""",
    "self_div_f32": """
fn self_div_f32(x: f32) -> f32 {
  let size = bitcast<u32>(x) & 0x7fffffffu;
  if (size == 0u || size >= 0x7f800000u) { return bits_f32(0x7fc00000u); }
  return 1.0;
}""",
    "times_zero_f32": """
fn times_zero_f32(x: f32, sign: u32) -> f32 {
  if ((bitcast<u32>(x) & 0x7f800000u) == 0x7f800000u) { return bits_f32(0x7fc00000u); }
  return bitcast<f32>((bitcast<u32>(x) & 0x80000000u) ^ sign);
}""",
    "over_zero_f32": """
fn over_zero_f32(x: f32, sign: u32) -> f32 {
  let size = bitcast<u32>(x) & 0x7fffffffu;
  if (size == 0u || size > 0x7f800000u) { return bits_f32(0x7fc00000u); }
  return bits_f32(((bitcast<u32>(x) & 0x80000000u) ^ sign) | 0x7f800000u);
}""",
    "zero_over_f32": """
fn zero_over_f32(x: f32, sign: u32) -> f32 {
  let size = bitcast<u32>(x) & 0x7fffffffu;
  if (size == 0u || size > 0x7f800000u) { return bits_f32(0x7fc00000u); }
  return bitcast<f32>((bitcast<u32>(x) & 0x80000000u) ^ sign);
}""",
    "max_f32": """
fn max_f32(a: f32, b: f32) -> f32 {
  if (is_nan(a)) { return a; }
  if (is_nan(b)) { return b; }
  if (a == b) { return bitcast<f32>(bitcast<u32>(a) & bitcast<u32>(b)); }
  return select(b, a, a > b);
}""",
    "min_f32": """
fn min_f32(a: f32, b: f32) -> f32 {
  if (is_nan(a)) { return a; }
  if (is_nan(b)) { return b; }
  if (a == b) { return bitcast<f32>(bitcast<u32>(a) | bitcast<u32>(b)); }
  return select(b, a, a < b);
}""",
    "copysign_f32": """
fn copysign_f32(size: f32, s: f32) -> f32 {
  return bitcast<f32>((bitcast<u32>(size) & 0x7fffffffu) | (bitcast<u32>(s) & 0x80000000u));
}""",
    "integral_f32": """
fn integral_f32(x: f32, r: f32) -> f32 {
  // Whole numbers, infinities and NaN stay as they are, and so does the sign of zero.
  if (!(abs(x) < 8388608.0)) { return x; }
  return bitcast<f32>((bitcast<u32>(r) & 0x7fffffffu) | (bitcast<u32>(x) & 0x80000000u));
}""",
    "fmod_f32": """
fn fmod_f32(x: f32, y: f32) -> f32 {
  // Long division on the bits: the remainder is exact.
  let ux = bitcast<u32>(x) & 0x7fffffffu;
  let uy = bitcast<u32>(y) & 0x7fffffffu;
  let sign = bitcast<u32>(x) & 0x80000000u;
  if (uy == 0u || ux >= 0x7f800000u || uy > 0x7f800000u) { return bits_f32(0x7fc00000u); }
  if (ux < uy) { return x; }
  if (ux == uy) { return bits_f32(sign); }
  var ex = i32(ux >> 23u);
  var ey = i32(uy >> 23u);
  var mx = ux & 0x7fffffu;
  var my = uy & 0x7fffffu;
  if (ex == 0) {
    let k = i32(countLeadingZeros(mx)) - 8;
    mx = mx << u32(k);
    ex = 1 - k;
  } else {
    mx = mx | 0x800000u;
  }
  if (ey == 0) {
    let k = i32(countLeadingZeros(my)) - 8;
    my = my << u32(k);
    ey = 1 - k;
  } else {
    my = my | 0x800000u;
  }
  while (ex > ey) {
    if (mx >= my) { mx = mx - my; }
    mx = mx << 1u;
    ex = ex - 1;
  }
  if (mx >= my) { mx = mx - my; }
  if (mx == 0u) { return bits_f32(sign); }
  let shift = i32(countLeadingZeros(mx)) - 8;
  mx = mx << u32(shift);
  ex = ex - shift;
  if (ex > 0) {
    mx = (mx & 0x7fffffu) | (u32(ex) << 23u);
  } else {
    mx = mx >> u32(1 - ex);
  }
  return bits_f32(mx | sign);
}""",
    "to_i32": """
fn to_i32(x: f32) -> i32 {
  if (is_nan(x)) { return 0; }
  if (x >= 2147483648.0) { return 2147483647; }
  if (x < -2147483648.0) { return bitcast<i32>(0x80000000u); }
  return i32(x);
}""",
    "to_u32": """
fn to_u32(x: f32) -> u32 {
  if (!(x > 0.0)) { return 0u; }
  if (x >= 4294967296.0) { return 0xffffffffu; }
  return u32(x);
}""",
    "mulhi_u32": """
fn mulhi_u32(a: u32, b: u32) -> u32 {
  let al = a & 0xffffu;
  let ah = a >> 16u;
  let bl = b & 0xffffu;
  let bh = b >> 16u;
  let low = al * bl;
  let mid = ah * bl + (low >> 16u);
  let cross = al * bh + (mid & 0xffffu);
  return ah * bh + (mid >> 16u) + (cross >> 16u);
}""",
    "mulhi_i32": """
fn mulhi_i32(a: i32, b: i32) -> i32 {
  var high = mulhi_u32(bitcast<u32>(a), bitcast<u32>(b));
  if (a < 0) { high = high - bitcast<u32>(b); }
  if (b < 0) { high = high - bitcast<u32>(a); }
  return bitcast<i32>(high);
}""",
    "add_64": """
fn add_64(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
  let low = a.x + b.x;
  return vec2<u32>(low, a.y + b.y + select(0u, 1u, low < a.x));
}""",
    "sub_64": """
fn sub_64(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
  return vec2<u32>(a.x - b.x, a.y - b.y - select(0u, 1u, a.x < b.x));
}""",
    "mul_64": """
fn mul_64(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
  return vec2<u32>(a.x * b.x, mulhi_u32(a.x, b.x) + a.x * b.y + a.y * b.x);
}""",
    "mulhi_u64": """
fn mulhi_u64(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
  let ll = vec2<u32>(mulhi_u32(a.x, b.x), 0u);
  let lh = vec2<u32>(a.x * b.y, mulhi_u32(a.x, b.y));
  let hl = vec2<u32>(a.y * b.x, mulhi_u32(a.y, b.x));
  let hh = vec2<u32>(a.y * b.y, mulhi_u32(a.y, b.y));
  let first = add_64(ll, lh);
  let second = add_64(vec2<u32>(first.x, 0u), hl);
  return add_64(hh, add_64(vec2<u32>(first.y, 0u), vec2<u32>(second.y, 0u)));
}""",
    "mulhi_i64": """
fn mulhi_i64(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
  var high = mulhi_u64(a, b);
  if ((a.y >> 31u) == 1u) { high = sub_64(high, b); }
  if ((b.y >> 31u) == 1u) { high = sub_64(high, a); }
  return high;
}""",
    "shl_64": """
fn shl_64(a: vec2<u32>, amount: vec2<u32>) -> vec2<u32> {
  let n = amount.x & 63u;
  if (n == 0u) { return a; }
  if (n >= 32u) { return vec2<u32>(0u, a.x << (n - 32u)); }
  return vec2<u32>(a.x << n, (a.y << n) | (a.x >> (32u - n)));
}""",
    "lshr_64": """
fn lshr_64(a: vec2<u32>, amount: vec2<u32>) -> vec2<u32> {
  let n = amount.x & 63u;
  if (n == 0u) { return a; }
  if (n >= 32u) { return vec2<u32>(a.y >> (n - 32u), 0u); }
  return vec2<u32>((a.x >> n) | (a.y << (32u - n)), a.y >> n);
}""",
    "ashr_64": """
fn ashr_64(a: vec2<u32>, amount: vec2<u32>) -> vec2<u32> {
  let n = amount.x & 63u;
  let high = bitcast<i32>(a.y);
  if (n == 0u) { return a; }
  if (n >= 32u) { return vec2<u32>(bitcast<u32>(high >> (n - 32u)), bitcast<u32>(high >> 31u)); }
  return vec2<u32>((a.x >> n) | (a.y << (32u - n)), bitcast<u32>(high >> n));
}""",
    "lt_u64": """
fn lt_u64(a: vec2<u32>, b: vec2<u32>) -> bool {
  return a.y < b.y || (a.y == b.y && a.x < b.x);
}""",
    "lt_i64": """
fn lt_i64(a: vec2<u32>, b: vec2<u32>) -> bool {
  return bitcast<i32>(a.y) < bitcast<i32>(b.y) || (a.y == b.y && a.x < b.x);
}""",
    "neg_64": """
fn neg_64(a: vec2<u32>) -> vec2<u32> { return sub_64(vec2<u32>(0u, 0u), a); }""",
    "abs_64": """
fn abs_64(a: vec2<u32>) -> vec2<u32> {
  if ((a.y >> 31u) == 1u) { return neg_64(a); }
  return a;
}""",
    "divide_64": """
fn divide_64(a: vec2<u32>, b: vec2<u32>) -> vec4<u32> {
  // Quotient in xy, remainder in zw; b is not zero.
  if (a.y == 0u && b.y == 0u) { return vec4<u32>(a.x / b.x, 0u, a.x % b.x, 0u); }
  var q = vec2<u32>(0u, 0u);
  var r = vec2<u32>(0u, 0u);
  for (var i = 63; i >= 0; i--) {
    let carry = r.y >> 31u;
    let bit = (select(a.x, a.y, i >= 32) >> (u32(i) & 31u)) & 1u;
    r = vec2<u32>((r.x << 1u) | bit, (r.y << 1u) | (r.x >> 31u));
    if (carry == 1u || !lt_u64(r, b)) {
      r = sub_64(r, b);
      if (i >= 32) { q.y = q.y | (1u << (u32(i) & 31u)); } else { q.x = q.x | (1u << u32(i)); }
    }
  }
  return vec4<u32>(q, r);
}""",
    "udiv_64": """
fn udiv_64(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> { return divide_64(a, b).xy; }""",
    "urem_64": """
fn urem_64(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> { return divide_64(a, b).zw; }""",
    "sdiv_64": """
fn sdiv_64(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
  let q = divide_64(abs_64(a), abs_64(b)).xy;
  if (((a.y ^ b.y) >> 31u) == 1u) { return neg_64(q); }
  return q;
}""",
    "f32_of_u64": """
fn f32_of_u64(a: vec2<u32>) -> f32 {
  // Rounded once: the bits that are lost are kept as one sticky bit below those that decide.
  if (a.y == 0u) { return f32_of_u32(a.x); }
  let n = 32u - countLeadingZeros(a.y);
  var top = a.y;
  var lost = a.x;
  if (n < 32u) {
    top = (a.y << (32u - n)) | (a.x >> n);
    lost = a.x << (32u - n);
  }
  if (lost != 0u) { top = top | 1u; }
  return f32_of_u32(top) * bitcast<f32>((n + 127u) << 23u);
}""",
    "f32_of_u32": """
fn f32_of_u32(a: u32) -> f32 {
  let kept = a >> 8u;
  let rest = a & 0xffu;
  if (kept < 0x800000u) { return f32(a); }
  let up = rest > 0x80u || (rest == 0x80u && (kept & 1u) == 1u);
  return f32(kept + select(0u, 1u, up)) * 256.0;
}""",
    "f32_of_i64": """
fn f32_of_i64(a: vec2<u32>) -> f32 {
  let made = f32_of_u64(abs_64(a));
  return select(made, -made, (a.y >> 31u) == 1u);
}""",
    "to_u64": """
fn to_u64(x: f32) -> vec2<u32> {
  if (!(x > 0.0)) { return vec2<u32>(0u, 0u); }
  if (x >= 18446744073709551616.0) { return vec2<u32>(0xffffffffu, 0xffffffffu); }
  let bits = bitcast<u32>(x);
  let e = i32(bits >> 23u) - 150;
  let m = vec2<u32>((bits & 0x7fffffu) | 0x800000u, 0u);
  if (e >= 0) { return shl_64(m, vec2<u32>(u32(e), 0u)); }
  if (e < -24) { return vec2<u32>(0u, 0u); }
  return lshr_64(m, vec2<u32>(u32(-e), 0u));
}""",
    "to_i64": """
fn to_i64(x: f32) -> vec2<u32> {
  if (is_nan(x)) { return vec2<u32>(0u, 0u); }
  if (x >= 9223372036854775808.0) { return vec2<u32>(0xffffffffu, 0x7fffffffu); }
  if (x < -9223372036854775808.0) { return vec2<u32>(0u, 0x80000000u); }
  let size = to_u64(abs(x));
  if (x < 0.0) { return neg_64(size); }
  return size;
}""",
    "index_i64": """
fn index_i64(a: vec2<u32>) -> i32 {
  // Saturated, for positions: what does not fit lies outside every buffer.
  let low = bitcast<i32>(a.x);
  if (bitcast<i32>(a.y) == (low >> 31u)) { return clamp(low, -1073741824, 1073741823); }
  return select(1073741823, -1073741824, (a.y >> 31u) == 1u);
}""",
}
_CALL = re.compile(r"\b([a-z]\w*_(?:f32|f64|i32|u32|i64|u64|64)|is_nan|\w+_of_\w+)\(")


def called_functions(text: str, features: Features = CORE) -> str:
    """The text of the functions that a text calls, and of those that they call."""
    functions = {**FUNCTIONS, **(INT64 if features.i64 else {}), **(FLOAT64 if features.f64 else {})}
    called: set[str] = set()

    def visit(part: str) -> None:
        for name in _CALL.findall(part):
            if name in functions and name not in called:
                called.add(name)
                visit(functions[name].split("{", 1)[1])

    visit(text)
    return "\n".join([functions[n].strip() for n in functions if n in called])
