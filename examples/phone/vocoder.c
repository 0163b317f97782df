/* A mel of any length through a vocoder's file, window by window: vocoder MODEL.tflite < MEL.f32 > OUT.f32
   MEL.f32: float32, frame by frame. A window has `frames` frames, of which `context_frames` at either end only help the
   others: windows overlap by twice as many. `present` is 1 where a frame exists and 0 before the first and after the last,
   where the mel may hold anything finite. `start` is the number of the window's first frame, negative in the first window:
   it turns the vocoder's clock, so that neighbors fit together. What comes out equals one pass over the whole mel. */
#include "litert.h"

int main(int argc, char **argv) {
  if (argc < 2) { fprintf(stderr, "usage: vocoder MODEL.tflite < MEL.f32 > OUT.f32\n"); return 2; }
  Model m = load(argv[1], "vocode");
  int frames = fact(&m, "frames"), context = fact(&m, "context_frames"), hop = fact(&m, "hop_samples");
  size_t bands = port_of(m.in, m.inputs, "mel")->bytes / 4 / frames, length = 0, space = 4096;
  float *mel = malloc(space * bands * 4), *window = calloc(frames * bands, 4), *present = calloc(frames, 4);
  float *audio = malloc(get(&m, "audio", NULL));
  while (fread(mel + length * bands, 4, bands, stdin) == bands)
    if (++length == space) mel = realloc(mel, (space *= 2) * bands * 4);
  for (int first = -context; first + context < (int)length; first += frames - 2 * context) {
    for (int i = 0; i < frames; i++) {
      present[i] = first + i >= 0 && first + i < (int)length;
      if (present[i]) memcpy(window + i * bands, mel + (first + i) * bands, bands * 4);
      else memset(window + i * bands, 0, bands * 4);
    }
    set(&m, "mel", window);
    set(&m, "present", present);
    set(&m, "start", &(int32_t){first});
    run(&m);
    get(&m, "audio", audio);
    int left = (int)length - first - context, fresh = frames - 2 * context;
    fwrite(audio + context * hop, 4, (size_t)(left < fresh ? left : fresh) * hop, stdout);
  }
  fprintf(stderr, "%zu frames, %d Hz\n", length, fact(&m, "sample_rate"));
  return 0;
}
