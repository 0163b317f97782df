/* One sound on a phone: drum MODEL.tflite SEED INDEX [CLASS] > OUT.f32
   Sound INDEX of SEED is the one that `melgan-tf generate --seed SEED --label CLASS --normalize none --tail 0` makes, but
   for rounding. Writes the samples as float32 and says the sample rate. */
#include <math.h>
#include "litert.h"

/* Philox4x32-10: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011. */
static void philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]) {
  uint32_t k0 = key[0], k1 = key[1];
  memcpy(out, counter, 16);
  for (int round = 0; round < 10; round++, k0 += 0x9E3779B9, k1 += 0xBB67AE85) {
    uint64_t a = (uint64_t)0xD2511F53 * out[0], b = (uint64_t)0xCD9E8D57 * out[2];
    uint32_t next[4] = {(uint32_t)(b >> 32) ^ out[1] ^ k0, (uint32_t)b, (uint32_t)(a >> 32) ^ out[3] ^ k1, (uint32_t)a};
    memcpy(out, next, 16);
  }
}

static float uniform(uint32_t bits) { return (float)(bits & 0x7FFFFF) / 8388608.0f; }

/* The noise of a sound, as tf.random.stateless_normal draws it for the seed (seed, index). */
static void draw(uint64_t seed, uint64_t index, float *noise, size_t count) {
  uint32_t mixed[4], bits[4], first[2] = {0x3EC8F720, 0x02461E29};
  philox((uint32_t[]){(uint32_t)seed, (uint32_t)(seed >> 32), (uint32_t)index, (uint32_t)(index >> 32)}, first, mixed);
  for (size_t i = 0; i < count; i++) {
    if (i % 4 == 0) philox((uint32_t[]){(uint32_t)(i / 4), 0, mixed[2], mixed[3]}, mixed, bits);
    const uint32_t *pair = bits + i % 4 / 2 * 2; /* Box and Muller: two uniform numbers make two normal ones */
    float radius = sqrtf(-2.0f * logf(fmaxf(uniform(pair[0]), 1e-7f))), angle = 6.2831853f * uniform(pair[1]);
    noise[i] = radius * (i % 2 ? cosf(angle) : sinf(angle));
  }
}

/* The number of a class in the metadata's list. */
static int class_number(const Model *m, const char *name) {
  const char *at = strstr(m->metadata, "\"classes\":"), *end = at ? strchr(at, ']') : NULL;
  char quoted[64];
  int number = 0;
  snprintf(quoted, sizeof quoted, "\"%s\"", name);
  const char *found = at ? strstr(at, quoted) : NULL;
  if (!found || found > end) { fprintf(stderr, "the model has no class %s\n", name); exit(1); }
  for (const char *c = at; c < found; c++) number += *c == ',';
  return number;
}

int main(int argc, char **argv) {
  if (argc < 4) { fprintf(stderr, "usage: drum MODEL.tflite SEED INDEX [CLASS] > OUT.f32\n"); return 2; }
  Model m = load(argv[1], "generate");
  float noise[1024], label[64] = {0};
  draw(strtoull(argv[2], 0, 10), strtoull(argv[3], 0, 10), noise, port_of(m.in, m.inputs, "noise")->bytes / 4);
  set(&m, "noise", noise);
  if (port_of(m.in, m.inputs, "label")) {
    if (argc < 5) { fprintf(stderr, "give a CLASS: the model has some\n"); return 2; }
    label[class_number(&m, argv[4])] = 1.0f;
    set(&m, "label", label);
  }
  run(&m);
  size_t bytes = get(&m, "audio", NULL);
  float *audio = malloc(bytes);
  get(&m, "audio", audio);
  fprintf(stderr, "%zu samples, %d Hz\n", bytes / 4, fact(&m, "sample_rate"));
  return fwrite(audio, 1, bytes, stdout) != bytes;
}
