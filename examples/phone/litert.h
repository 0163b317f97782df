/* What the two examples need of LiteRT's C API, the same on Android, iOS and desktops (LiteRT 2). The library of the Python
   package ai-edge-litert has no headers: the declarations are written out here. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Opaque *Ref;
typedef struct { _Alignas(16) unsigned char bytes[256]; } TensorType; /* filled in by the library, passed on untouched */
enum { CPU = 1, READ = 0, WRITE = 1 };

int LiteRtCreateEnvironment(int, const void *, Ref *);
int LiteRtCreateModelFromFile(Ref environment, const char *, Ref *model);
int LiteRtCreateOptions(Ref *);
int LiteRtSetOptionsHardwareAccelerators(Ref, int);
int LiteRtCreateCompiledModel(Ref environment, Ref model, Ref options, Ref *compiled);
int LiteRtGetNumModelSignatures(Ref, size_t *);
int LiteRtGetModelSignature(Ref, size_t, Ref *);
int LiteRtGetSignatureKey(Ref, const char **);
int LiteRtGetNumSignatureInputs(Ref, size_t *);
int LiteRtGetNumSignatureOutputs(Ref, size_t *);
int LiteRtGetSignatureInputName(Ref, size_t, const char **);
int LiteRtGetSignatureOutputName(Ref, size_t, const char **);
int LiteRtGetSignatureInputTensorByIndex(Ref, size_t, Ref *);
int LiteRtGetSignatureOutputTensorByIndex(Ref, size_t, Ref *);
int LiteRtGetRankedTensorType(Ref tensor, TensorType *);
int LiteRtGetCompiledModelInputBufferRequirements(Ref, size_t, size_t, Ref *);
int LiteRtGetCompiledModelOutputBufferRequirements(Ref, size_t, size_t, Ref *);
int LiteRtCreateManagedTensorBufferFromRequirements(Ref environment, const TensorType *, Ref requirements, Ref *buffer);
int LiteRtGetTensorBufferPackedSize(Ref, size_t *);
int LiteRtLockTensorBuffer(Ref, void **, int);
int LiteRtUnlockTensorBuffer(Ref);
int LiteRtRunCompiledModel(Ref, size_t signature, size_t, Ref *, size_t, Ref *);
int LiteRtGetModelMetadata(Ref, const char *, const void **, size_t *);

#define CHECK(call) do { int status = (call); if (status) { fprintf(stderr, "%s: status %d\n", #call, status); exit(1); } } while (0)

/* An input or output of a signature. */
typedef struct { const char *name; Ref buffer; size_t bytes; } Port;

typedef struct {
  Ref environment, model, compiled;
  size_t signature, inputs, outputs;
  Port in[4], out[4];
  char *metadata; /* JSON */
} Model;

static Model load(const char *path, const char *signature) {
  Model m = {0};
  Ref options, found;
  size_t count, length;
  const void *json;
  CHECK(LiteRtCreateEnvironment(0, 0, &m.environment));
  CHECK(LiteRtCreateModelFromFile(m.environment, path, &m.model));
  CHECK(LiteRtCreateOptions(&options));
  CHECK(LiteRtSetOptionsHardwareAccelerators(options, CPU));
  CHECK(LiteRtCreateCompiledModel(m.environment, m.model, options, &m.compiled));
  CHECK(LiteRtGetModelMetadata(m.model, "melgan_tf", &json, &length));
  m.metadata = calloc(length + 1, 1);
  memcpy(m.metadata, json, length);
  CHECK(LiteRtGetNumModelSignatures(m.model, &count));
  for (m.signature = 0; m.signature < count; m.signature++) {
    const char *key;
    CHECK(LiteRtGetModelSignature(m.model, m.signature, &found));
    CHECK(LiteRtGetSignatureKey(found, &key));
    if (!strcmp(key, signature)) break;
  }
  if (m.signature == count) { fprintf(stderr, "%s has no signature %s\n", path, signature); exit(1); }
  CHECK(LiteRtGetNumSignatureInputs(found, &m.inputs));
  CHECK(LiteRtGetNumSignatureOutputs(found, &m.outputs));
  for (size_t i = 0; i < m.inputs + m.outputs; i++) {
    bool in = i < m.inputs;
    size_t number = in ? i : i - m.inputs;
    Port *port = in ? m.in + number : m.out + number;
    Ref tensor, requirements;
    TensorType type;
    CHECK((in ? LiteRtGetSignatureInputName : LiteRtGetSignatureOutputName)(found, number, &port->name));
    CHECK((in ? LiteRtGetSignatureInputTensorByIndex : LiteRtGetSignatureOutputTensorByIndex)(found, number, &tensor));
    CHECK(LiteRtGetRankedTensorType(tensor, &type));
    CHECK((in ? LiteRtGetCompiledModelInputBufferRequirements : LiteRtGetCompiledModelOutputBufferRequirements)(
        m.compiled, m.signature, number, &requirements));
    CHECK(LiteRtCreateManagedTensorBufferFromRequirements(m.environment, &type, requirements, &port->buffer));
    CHECK(LiteRtGetTensorBufferPackedSize(port->buffer, &port->bytes));
  }
  return m;
}

static Port *port_of(Port *ports, size_t count, const char *name) {
  for (size_t i = 0; i < count; i++) if (!strcmp(ports[i].name, name)) return ports + i;
  return NULL;
}

static void set(Model *m, const char *name, const void *values) {
  Port *port = port_of(m->in, m->inputs, name);
  void *memory;
  CHECK(LiteRtLockTensorBuffer(port->buffer, &memory, WRITE));
  memcpy(memory, values, port->bytes);
  CHECK(LiteRtUnlockTensorBuffer(port->buffer));
}

static void run(Model *m) {
  Ref in[4], out[4];
  for (size_t i = 0; i < m->inputs; i++) in[i] = m->in[i].buffer;
  for (size_t i = 0; i < m->outputs; i++) out[i] = m->out[i].buffer;
  CHECK(LiteRtRunCompiledModel(m->compiled, m->signature, m->inputs, in, m->outputs, out));
}

/* Copies an output, and returns its bytes. */
static size_t get(Model *m, const char *name, void *values) {
  Port *port = port_of(m->out, m->outputs, name);
  void *memory;
  CHECK(LiteRtLockTensorBuffer(port->buffer, &memory, READ));
  if (values) memcpy(values, memory, port->bytes);
  CHECK(LiteRtUnlockTensorBuffer(port->buffer));
  return port->bytes;
}

/* A whole number of the metadata. */
static int fact(const Model *m, const char *key) {
  char quoted[64];
  snprintf(quoted, sizeof quoted, "\"%s\":", key);
  const char *found = strstr(m->metadata, quoted);
  if (!found) { fprintf(stderr, "the file does not say %s\n", key); exit(1); }
  return atoi(found + strlen(quoted));
}
