import Foundation
import TensorFlowLite

/// A sound model with classes: NAME.tflite and NAME.export_report.json in the bundle. Not for several threads at once.
final class SoundModel {
    private struct Report: Decodable { let origin: Facts }
    private struct Facts: Decodable { let classes: [String], sample_rate: Double }

    private let facts: Facts
    private let runner: SignatureRunner
    var classes: [String] { facts.classes }
    var sampleRate: Double { facts.sample_rate }

    init(named name: String) throws {
        guard let report = Bundle.main.url(forResource: "\(name).export_report", withExtension: "json"),
              let model = Bundle.main.path(forResource: name, ofType: "tflite")
        else { throw CocoaError(.fileNoSuchFile) }
        facts = try JSONDecoder().decode(Report.self, from: Data(contentsOf: report)).origin
        var options = Interpreter.Options()
        options.threadCount = 1
        runner = try Interpreter(modelPath: model, options: options).signatureRunner(with: "sample")
    }

    /// Sound `index` of a seed, of a class: samples from -1 to 1. The same on every device, but for rounding.
    func make(_ name: String, seed: Int64, index: Int64) throws -> [Float] {
        guard let number = classes.firstIndex(of: name) else { throw CocoaError(.keyValueValidation) }
        try runner.invoke(with: ["seed": bytes(seed), "index": bytes(index), "label": bytes(Int32(number))])
        return try runner.output(named: "audio").data.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
    }

    private func bytes<Number>(_ number: Number) -> Data { withUnsafeBytes(of: number) { Data($0) } }
}
