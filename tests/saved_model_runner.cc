// Runs a SavedModel as TensorFlow Serving does, without Python and Keras: tensorflow::LoadSavedModel with the tag
// "serve", then Session::Run by the names that a signature gives. See saved_model_runner.py.
//
// A request on stdin: "SIGNATURE INPUTS\n", and for each input "NAME TYPE RANK SIZE...\n" and its values; TYPE is float,
// double, int32, int64 or string, and a string is "LENGTH\n" and its bytes. The answer on stdout: "ok OUTPUTS MS MB\n" and
// the outputs in the same form, or "error CODE MS MB LENGTH\n" and the message. MB is the largest memory so far.
//
// With a second argument it serves any number of connections side by side, each with this protocol, on the port of this
// machine that it writes to stdout; it ends with its stdin.
#include <ext/stdio_filebuf.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <iostream>
#include <map>
#include <string>
#include <thread>
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

static tf::Tensor ReadTensor(std::istream& in, std::string* name) {
  std::string type, line;
  int rank;
  in >> *name >> type >> rank;
  tf::TensorShape shape;
  for (int i = 0; i < rank; ++i) {
    int64_t size;
    in >> size;
    shape.AddDim(size);
  }
  std::getline(in, line);
  const std::map<std::string, tf::DataType> types = {
      {"float", tf::DT_FLOAT}, {"double", tf::DT_DOUBLE}, {"int32", tf::DT_INT32}, {"int64", tf::DT_INT64},
      {"string", tf::DT_STRING}};
  tf::Tensor tensor(types.at(type), shape);
  if (tensor.dtype() == tf::DT_STRING) {
    for (int64_t i = 0; i < tensor.NumElements(); ++i) {
      std::getline(in, line);
      std::string bytes(std::stoul(line), '\0');
      in.read(&bytes[0], bytes.size());
      tensor.flat<tf::tstring>()(i) = bytes;
    }
  } else {
    in.read(static_cast<char*>(tensor.data()), tensor.TotalBytes());
  }
  return tensor;
}

static void WriteTensor(std::ostream& out, const std::string& name, const tf::Tensor& tensor) {
  out << name << ' ' << tf::DataTypeString(tensor.dtype()) << ' ' << tensor.dims();
  for (int i = 0; i < tensor.dims(); ++i) out << ' ' << tensor.dim_size(i);
  out << '\n';
  if (tensor.dtype() == tf::DT_STRING) {
    for (int64_t i = 0; i < tensor.NumElements(); ++i) {
      const tf::tstring& bytes = tensor.flat<tf::tstring>()(i);
      out << bytes.size() << '\n';
      out.write(bytes.data(), bytes.size());
    }
  } else {
    out.write(static_cast<const char*>(tensor.data()), tensor.TotalBytes());
  }
}

static void Serve(tf::SavedModelBundle& bundle, std::istream& in, std::ostream& out) {
  std::string signature;
  int inputs;
  while (in >> signature >> inputs) {
    const auto found = bundle.GetSignatures().find(signature);
    std::vector<std::pair<std::string, tf::Tensor>> feeds;
    std::vector<std::string> fetches, names;
    tf::Status status;
    for (int i = 0; i < inputs; ++i) {
      std::string name;
      tf::Tensor tensor = ReadTensor(in, &name);
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
      out << "ok " << outputs.size() << ' ' << ms << ' ' << PeakMegabytes() << '\n';
      for (size_t i = 0; i < outputs.size(); ++i) WriteTensor(out, names[i], outputs[i]);
    } else {
      const std::string message(status.message());
      out << "error " << static_cast<int>(status.code()) << ' ' << ms << ' ' << PeakMegabytes() << ' '
          << message.size() << '\n' << message;
    }
    out.flush();
  }
}

static void ServeConnections(tf::SavedModelBundle& bundle) {
  const int listening = socket(AF_INET, SOCK_STREAM, 0), on = 1;
  sockaddr_in address = {};
  socklen_t size = sizeof(address);
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(listening, reinterpret_cast<sockaddr*>(&address), size) || listen(listening, 128) ||
      getsockname(listening, reinterpret_cast<sockaddr*>(&address), &size)) {
    std::perror("port");
    std::_Exit(1);
  }
  std::cout << ntohs(address.sin_port) << std::endl;
  while (true) {
    const int connection = accept(listening, nullptr, nullptr);
    setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    std::thread([&bundle, connection] {
      __gnu_cxx::stdio_filebuf<char> reading(connection, std::ios::in), writing(dup(connection), std::ios::out);
      std::istream in(&reading);
      std::ostream out(&writing);
      Serve(bundle, in, out);
    }).detach();
  }
}

int main(int argc, char** argv) {
  tf::SavedModelBundle bundle;
  tf::Status loaded = tf::LoadSavedModel(tf::SessionOptions(), tf::RunOptions(), argv[1], {"serve"}, &bundle);
  if (!loaded.ok()) {
    std::cerr << loaded.ToString() << '\n';
    return 1;
  }
  if (argc < 3) {
    Serve(bundle, std::cin, std::cout);
    return 0;
  }
  std::thread(ServeConnections, std::ref(bundle)).detach();
  while (std::cin.get() != EOF) {
  }
  std::_Exit(0);  // connections may be at work
}
