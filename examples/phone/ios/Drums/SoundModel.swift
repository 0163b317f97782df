import Foundation
import TensorFlowLite

/// A sound model with classes: NAME.tflite and NAME.export_report.json in the bundle. Not for several threads at once.
final class SoundModel {
    private struct Report: Decodable { let origin: Facts }
    private struct Facts: Decodable { let classes: [String], sample_rate: Double, noise_dim: Int }

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
        runner = try Interpreter(modelPath: model, options: options).signatureRunner(with: "generate")
    }

    /// A new sound of a class: samples from -1 to 1.
    func make(_ name: String) throws -> [Float] {
        let noise = (0..<facts.noise_dim).map { _ in gaussian() }
        let label: [Float] = classes.map { $0 == name ? 1 : 0 }
        try runner.invoke(with: ["noise": noise.withUnsafeBytes { Data($0) }, "label": label.withUnsafeBytes { Data($0) }])
        return try runner.output(named: "audio").data.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
    }

    /// A standard normal number, by the formula of Box and Muller.
    private func gaussian() -> Float {
        let radius = (-2 * log(Float.random(in: Float.leastNormalMagnitude..<1))).squareRoot()
        return radius * cos(2 * .pi * Float.random(in: 0..<1))
    }
}
