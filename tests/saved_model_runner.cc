// Runs a SavedModel as TensorFlow Serving does, without Python and Keras: tensorflow::LoadSavedModel with the tag
// "serve", then Session::Run by the names that a signature gives. See saved_model_runner.py.
//
// A request on stdin: "SIGNATURE INPUTS\n", and for each input "NAME TYPE RANK SIZE...\n" and its values; TYPE is float,
// int32, int64 or string, and a string is "LENGTH\n" and its bytes. The answer on stdout: "ok OUTPUTS MS MB\n" and the
// outputs in the same form, or "error CODE MS MB LENGTH\n" and the message. MB is the largest memory so far.
#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "tensorflow/cc/saved_model/loader.h"
#include "tensorflow/core/framework/tensor.h"
#include "tensorflow/core/public/session.h"

namespace tf = tensorflow;

static long PeakMegabytes() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss / 1024;
}

static tf::Tensor ReadTensor(std::string* name) {
  std::string type, line;
  int rank;
  std::cin >> *name >> type >> rank;
  tf::TensorShape shape;
  for (int i = 0; i < rank; ++i) {
    int64_t size;
    std::cin >> size;
    shape.AddDim(size);
  }
  std::getline(std::cin, line);
  const std::map<std::string, tf::DataType> types = {
      {"float", tf::DT_FLOAT}, {"int32", tf::DT_INT32}, {"int64", tf::DT_INT64}, {"string", tf::DT_STRING}};
  tf::Tensor tensor(types.at(type), shape);
  if (tensor.dtype() == tf::DT_STRING) {
    for (int64_t i = 0; i < tensor.NumElements(); ++i) {
      std::getline(std::cin, line);
      std::string bytes(std::stoul(line), '\0');
      std::cin.read(&bytes[0], bytes.size());
      tensor.flat<tf::tstring>()(i) = bytes;
    }
  } else {
    std::cin.read(static_cast<char*>(tensor.data()), tensor.TotalBytes());
  }
  return tensor;
}

static void WriteTensor(const std::string& name, const tf::Tensor& tensor) {
  std::cout << name << ' ' << tf::DataTypeString(tensor.dtype()) << ' ' << tensor.dims();
  for (int i = 0; i < tensor.dims(); ++i) std::cout << ' ' << tensor.dim_size(i);
  std::cout << '\n';
  if (tensor.dtype() == tf::DT_STRING) {
    for (int64_t i = 0; i < tensor.NumElements(); ++i) {
      const tf::tstring& bytes = tensor.flat<tf::tstring>()(i);
      std::cout << bytes.size() << '\n';
      std::cout.write(bytes.data(), bytes.size());
    }
  } else {
    std::cout.write(static_cast<const char*>(tensor.data()), tensor.TotalBytes());
  }
}

int main(int argc, char** argv) {
  tf::SavedModelBundle bundle;
  tf::Status loaded = tf::LoadSavedModel(tf::SessionOptions(), tf::RunOptions(), argv[1], {"serve"}, &bundle);
  if (!loaded.ok()) {
    std::cerr << loaded.ToString() << '\n';
    return 1;
  }
  std::string signature;
  int inputs;
  while (std::cin >> signature >> inputs) {
    const auto found = bundle.GetSignatures().find(signature);
    std::vector<std::pair<std::string, tf::Tensor>> feeds;
    std::vector<std::string> fetches, names;
    tf::Status status;
    for (int i = 0; i < inputs; ++i) {
      std::string name;
      tf::Tensor tensor = ReadTensor(&name);
      if (found == bundle.GetSignatures().end()) continue;
      const auto input = found->second.inputs().find(name);
      if (input == found->second.inputs().end()) status = tf::errors::InvalidArgument("no input ", name);
      else feeds.emplace_back(input->second.name(), tensor);
    }
    std::vector<tf::Tensor> outputs;
    const auto started = std::chrono::steady_clock::now();
    if (found == bundle.GetSignatures().end()) {
      status = tf::errors::NotFound("no signature ", signature);
    } else if (status.ok()) {
      for (const auto& output : found->second.outputs()) {
        names.push_back(output.first);
        fetches.push_back(output.second.name());
      }
      status = bundle.GetSession()->Run(feeds, fetches, {}, &outputs);
    }
    const double ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - started).count();
    if (status.ok()) {
      std::cout << "ok " << outputs.size() << ' ' << ms << ' ' << PeakMegabytes() << '\n';
      for (size_t i = 0; i < outputs.size(); ++i) WriteTensor(names[i], outputs[i]);
    } else {
      const std::string message(status.message());
      std::cout << "error " << static_cast<int>(status.code()) << ' ' << ms << ' ' << PeakMegabytes() << ' '
                << message.size() << '\n' << message;
    }
    std::cout.flush();
  }
}
