{{/* Objects that both components have, each made from (list $ "server" .Values). */}}

{{- define "model-server.deployment" -}}
{{- $root := first . }}
{{- $component := index . 1 }}
{{- with last . -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "model-server.workload" (list $root $component) }}
  {{- include "model-server.metadata" (list $root $component) | nindent 2 }}
spec:
  {{- if eq .autoscaling.type "none" }}
  replicas: {{ .replicas }}
  {{- end }}
  selector:
    matchLabels:
      {{- include "model-server.selector" (list $root $component) | nindent 6 }}
  strategy:
    {{- include "model-server.strategy" $root | nindent 4 }}
  template:
    metadata:
      labels:
        {{- include "model-server.podLabels" (list $root $component .podLabels) | nindent 8 }}
      {{- with .podAnnotations }}
      annotations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
    spec:
      {{- include (printf "model-server.%sPod" $component) $root | nindent 6 }}
{{- end }}
{{- end }}

{{/* The server's is not named <name>-predictor: KServe would overwrite it. */}}
{{- define "model-server.horizontalPodAutoscaler" -}}
{{- $root := first . }}
{{- $component := index . 1 }}
{{- with (last .).autoscaling -}}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: {{ include "model-server.componentName" (list $root $component) }}
  {{- include "model-server.metadata" (list $root $component) | nindent 2 }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: {{ include "model-server.workload" (list $root $component) }}
  minReplicas: {{ .minReplicas }}
  maxReplicas: {{ .maxReplicas }}
  metrics:
    {{- with .cpuUtilization }}
    - type: Resource
      resource:
        name: cpu
        target:
          type: Utilization
          averageUtilization: {{ . }}
    {{- end }}
    {{- with .metrics }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  behavior:
    {{- toYaml $root.Values.autoscaling.behavior | nindent 4 }}
{{- end }}
{{- end }}

{{/* Where there are always two pods or more; nothing otherwise. */}}
{{- define "model-server.podDisruptionBudget" -}}
{{- $root := first . }}
{{- $component := index . 1 }}
{{- $guaranteed := eq (last .).autoscaling.type "none" | ternary (last .).replicas (last .).autoscaling.minReplicas }}
{{- with $root.Values.podDisruptionBudget }}
{{- if and .enabled (gt (int $guaranteed) 1) -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "model-server.componentName" (list $root $component) }}
  {{- include "model-server.metadata" (list $root $component) | nindent 2 }}
spec:
  maxUnavailable: {{ .maxUnavailable }}
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "model-server.selector" (list $root $component) | nindent 6 }}
{{- end }}
{{- end }}
{{- end }}

{{- define "model-server.service" -}}
{{- $root := first . }}
{{- $component := index . 1 }}
{{- with (last .).service -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ include "model-server.workload" (list $root $component) }}
  {{- include "model-server.metadata" (list $root $component .annotations) | nindent 2 }}
spec:
  type: {{ .type }}
  selector:
    {{- include "model-server.selector" (list $root $component) | nindent 4 }}
  ports:
    - name: http
      port: {{ .port }}
      targetPort: http
      {{- with .nodePort }}
      nodePort: {{ . }}
      {{- end }}
{{- end }}
{{- end }}

{{/* Without the suffix the name would be that of KServe's own. */}}
{{- define "model-server.ingress" -}}
{{- $root := first . }}
{{- $component := index . 1 }}
{{- $port := (last .).service.port }}
{{- with (last .).ingress -}}
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: {{ include "model-server.name" $root }}-{{ $component }}
  {{- include "model-server.metadata" (list $root $component .annotations) | nindent 2 }}
spec:
  {{- with .className }}
  ingressClassName: {{ . }}
  {{- end }}
  rules:
    {{- range .hosts }}
    - host: {{ . | quote }}
      http:
        paths:
          - path: /
            pathType: Prefix
            backend:
              service:
                name: {{ include "model-server.workload" (list $root $component) }}
                port:
                  number: {{ $port }}
    {{- end }}
  {{- with .tls }}
  tls:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- end }}

{{/* The ways out of who asks the server: to DNS and to its HTTP port. */}}
{{- define "model-server.egressToServer" -}}
{{- with .Values.networkPolicy.dns }}
{{- toYaml . }}
{{- end }}
- ports:
    - port: 8080
      protocol: TCP
  to:
    - podSelector:
        matchLabels:
          {{- include "model-server.selector" (list . "server") | nindent 10 }}
{{- end }}

{{/* Namespace, labels and, as the last of the list, annotations. */}}
{{- define "model-server.metadata" -}}
namespace: {{ (first .).Release.Namespace }}
labels:
  {{- include "model-server.labels" . | nindent 2 }}
{{- if gt (len .) 2 }}
{{- with index . 2 }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}
