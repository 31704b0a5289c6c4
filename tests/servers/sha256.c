/* SHA-256 and HMAC-SHA-256; see sha256.h. */

#include "sha256.h"

#include <stdint.h>
#include <string.h>

#define BLOCK 64

struct state {
  uint32_t hash[8];
  unsigned char block[BLOCK];
  size_t filled;
  uint64_t total;
};

static const uint32_t ROUND[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t rotate(uint32_t word, int bits) { return word >> bits | word << (32 - bits); }

static void compress(struct state *state) {
  uint32_t w[64], v[8];
  for (int i = 0; i < 16; i++) {
    const unsigned char *p = state->block + 4 * i;
    w[i] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
  }
  for (int i = 16; i < 64; i++) {
    uint32_t a = w[i - 15], b = w[i - 2];
    w[i] = w[i - 16] + w[i - 7] + (rotate(a, 7) ^ rotate(a, 18) ^ a >> 3) +
           (rotate(b, 17) ^ rotate(b, 19) ^ b >> 10);
  }
  memcpy(v, state->hash, sizeof v);
  for (int i = 0; i < 64; i++) {
    uint32_t one = v[7] + (rotate(v[4], 6) ^ rotate(v[4], 11) ^ rotate(v[4], 25)) +
                   ((v[4] & v[5]) ^ (~v[4] & v[6])) + ROUND[i] + w[i];
    uint32_t two = (rotate(v[0], 2) ^ rotate(v[0], 13) ^ rotate(v[0], 22)) +
                   ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
    memmove(v + 1, v, 7 * sizeof *v);
    v[4] += one;
    v[0] = one + two;
  }
  for (int i = 0; i < 8; i++) state->hash[i] += v[i];
}

static void start(struct state *state) {
  static const uint32_t initial[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                      0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  memcpy(state->hash, initial, sizeof initial);
  state->filled = 0;
  state->total = 0;
}

static void update(struct state *state, const void *data, size_t length) {
  const unsigned char *bytes = data;
  state->total += length;
  while (length > 0) {
    size_t part = BLOCK - state->filled < length ? BLOCK - state->filled : length;
    memcpy(state->block + state->filled, bytes, part);
    state->filled += part;
    bytes += part;
    length -= part;
    if (state->filled == BLOCK) {
      compress(state);
      state->filled = 0;
    }
  }
}

static void finish(struct state *state, unsigned char digest[SHA256_BYTES]) {
  uint64_t bits = state->total * 8;
  unsigned char size[8];
  for (int i = 0; i < 8; i++) size[i] = (unsigned char)(bits >> (56 - 8 * i));
  update(state, "\x80", 1);
  while (state->filled != BLOCK - sizeof size) update(state, "", 1);
  update(state, size, sizeof size);
  for (int i = 0; i < SHA256_BYTES; i++)
    digest[i] = (unsigned char)(state->hash[i / 4] >> (24 - 8 * (i % 4)));
}

void sha256(const void *data, size_t length, unsigned char digest[SHA256_BYTES]) {
  struct state state;
  start(&state);
  update(&state, data, length);
  finish(&state, digest);
}

void hmac_sha256(const void *key, size_t key_length, const void *data, size_t length,
                 unsigned char digest[SHA256_BYTES]) {
  unsigned char padded[BLOCK] = {0}, inner[BLOCK], outer[BLOCK];
  struct state state;
  if (key_length > BLOCK)
    sha256(key, key_length, padded);
  else
    memcpy(padded, key, key_length);
  for (int i = 0; i < BLOCK; i++) {
    inner[i] = padded[i] ^ 0x36;
    outer[i] = padded[i] ^ 0x5c;
  }
  start(&state);
  update(&state, inner, BLOCK);
  update(&state, data, length);
  finish(&state, digest);
  start(&state);
  update(&state, outer, BLOCK);
  update(&state, digest, SHA256_BYTES);
  finish(&state, digest);
}

void sha256_hex(const unsigned char digest[SHA256_BYTES], char hex[SHA256_HEX + 1]) {
  for (int i = 0; i < SHA256_BYTES; i++) {
    hex[2 * i] = "0123456789abcdef"[digest[i] >> 4];
    hex[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
  }
  hex[SHA256_HEX] = 0;
}
