/* One sound on a phone: drum MODEL.tflite SEED INDEX [CLASS] > OUT.f32
   Sound INDEX of SEED is the one that `melgan-tf generate --seed SEED --label CLASS --normalize none --tail 0` makes, but
   for rounding. Writes the samples as float32 and says the sample rate. */
#include "litert.h"

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
  Model m = load(argv[1], "sample");
  set(&m, "seed", &(int64_t){strtoll(argv[2], 0, 10)});
  set(&m, "index", &(int64_t){strtoll(argv[3], 0, 10)});
  if (port_of(m.in, m.inputs, "label")) {
    if (argc < 5) { fprintf(stderr, "give a CLASS: the model has some\n"); return 2; }
    set(&m, "label", &(int32_t){class_number(&m, argv[4])});
  }
  run(&m);
  size_t bytes = get(&m, "audio", NULL);
  float *audio = malloc(bytes);
  get(&m, "audio", audio);
  fprintf(stderr, "%zu samples, %d Hz\n", bytes / 4, fact(&m, "sample_rate"));
  return fwrite(audio, 1, bytes, stdout) != bytes;
}
